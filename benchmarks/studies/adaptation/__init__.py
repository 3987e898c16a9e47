"""Does adaptation gain over the best unadapted rule?"""
