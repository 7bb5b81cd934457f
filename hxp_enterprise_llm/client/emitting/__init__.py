"""Events out of a program that has other things to do: never in its way, kept on disk while the service is away."""
