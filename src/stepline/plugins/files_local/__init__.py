"""Files in folders of this machine: catalog, store, lake, results and schemas.

What one run on one machine needs. Files that the user names stay where they are and
are neither copied nor read before somebody reads them.
"""
