"""What drives a feature of a model of builds?"""
