"""How HTTP requests enter a service and answers leave it; no business words here."""
