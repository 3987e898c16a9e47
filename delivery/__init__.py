"""What leaves the workshop: wheels, a folder to install from, what is in them. Needs the extra `delivery`."""
