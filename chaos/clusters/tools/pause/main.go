// Command pause is the first process of every pod: it keeps the pod's namespaces alive, collects processes whose parent
// has gone, and ends when the container runtime asks it to.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	told := make(chan os.Signal, 8)
	signal.Notify(told, syscall.SIGCHLD, syscall.SIGINT, syscall.SIGTERM)
	for what := range told {
		if what != syscall.SIGCHLD {
			return
		}
		collectChildren()
	}
}

func collectChildren() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err != nil || pid <= 0 {
			return
		}
	}
}
