"""The parts of the stand-in for an HTTP endpoint, `stepline.testing.http_standin`."""
