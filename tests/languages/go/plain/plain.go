// Package main is a plugin in plain cgo, without the SDK: 200 goroutines write to pipes without readers.
package main

// #cgo CFLAGS: -I${SRCDIR}/../../../../abi/include
// #include <stdint.h>
import "C"

import (
	"os"
	"sync"
)

//export writeToNobody
func writeToNobody() C.int32_t {
	var writers sync.WaitGroup
	for i := 0; i < 200; i++ {
		writers.Add(1)
		go func() {
			defer writers.Done()
			reader, writer, err := os.Pipe()
			if err != nil {
				return
			}
			reader.Close()
			writer.Write([]byte("x"))
			writer.Close()
		}()
	}
	writers.Wait()
	return 0
}

func main() {}
