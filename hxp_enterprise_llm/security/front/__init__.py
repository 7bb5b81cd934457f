"""What is read and answered before aiohttp: the few requests that come by the thousand, and only plain ones."""
