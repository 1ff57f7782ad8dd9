"""The runs of a store: what each brought, what several seeds bring together, what two differ in."""
