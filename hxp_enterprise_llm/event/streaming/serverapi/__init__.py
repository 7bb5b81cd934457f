"""The server API, in Centrifugo's HTTP form: publish, and ask about channels."""
