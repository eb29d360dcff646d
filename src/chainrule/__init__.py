"""chainrule trains neural networks by gradient descent and backpropagation, with every number open to view."""
