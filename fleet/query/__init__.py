"""The one language in which nodes are named by what they are: for rollouts, lists and rights."""
