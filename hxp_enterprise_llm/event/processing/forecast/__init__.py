"""The next hour's tokens out of the history, with a band that says how sure that is; what is out of the ordinary."""
