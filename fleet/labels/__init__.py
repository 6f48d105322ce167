"""Labels of nodes, printed: what stands where, and as SVG, PDF or PNG."""
