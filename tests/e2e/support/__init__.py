"""What the end-to-end and conformance tests are built from: processes, peers, wires and names."""
