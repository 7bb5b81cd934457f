"""The simulator: the real program in virtual time, on a virtual network, under faults that a seed decides."""
