"""What is known: vLLM releases with their options, routes and metric names; every row cites its source."""
