"""What a bundle learns from normal pictures: banks, calibration, self-test; for `fit` and for `extend`."""
