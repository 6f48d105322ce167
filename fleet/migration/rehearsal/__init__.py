"""A rehearsal: a whole programme on simulated terminals, in fast time, against the truth."""
