"""What crosses a wire, an air gap or a flash page, and the rules every tier must agree on."""
