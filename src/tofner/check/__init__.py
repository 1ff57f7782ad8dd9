"""`tofner check`: what a run would read, and what is wrong with it, before anything is trained."""
