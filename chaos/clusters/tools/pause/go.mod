module foresail.dev/clusters/tools/pause

go 1.26.0
