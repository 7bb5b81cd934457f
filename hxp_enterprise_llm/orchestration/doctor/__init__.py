"""What `hxp doctor` looks at: an installation from outside and inside, and how to mend what is wrong."""
