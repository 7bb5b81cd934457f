"""The Centrifuge client protocol, JSON form: channels, offsets and epoch are those of the log."""
