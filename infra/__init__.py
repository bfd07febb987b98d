"""Everything that the services stand on: engines, their configuration, and the two ways to run them."""
