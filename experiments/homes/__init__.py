"""Homes with PV, batteries, cars and heat pumps in winter, spring and summer: what prices do to them."""
