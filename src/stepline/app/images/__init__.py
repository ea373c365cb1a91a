"""Use cases of images: logins of registries, releases, and what people do with images."""
