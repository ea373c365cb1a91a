"""The service: files that arrive start pipelines, whose workflows run to their end."""
