"""``python -m stepline``."""

from __future__ import annotations

from stepline.launch import main

if __name__ == "__main__":
    main()
