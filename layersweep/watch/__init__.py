"""The page of sweeps that run or have ended, served to the browser of one person on this machine."""
