"""How estimates, intervals and shares are written, in reports and figures alike."""
