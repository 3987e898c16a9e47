"""A machine that says when to look: one picture a trigger, and its answer within a deadline."""
