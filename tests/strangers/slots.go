// Four slots for streams. Only an answer that was written to its end gives its slot back; who hangs up in the
// middle keeps it. The fifth is refused.
//
//	slots PORT
package main

import (
	"fmt"
	"net/http"
	"os"
	"time"
)

func main() {
	slots := make(chan struct{}, 4)
	http.HandleFunc("/health", func(answer http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(answer, "ok")
	})
	http.HandleFunc("/slots", func(answer http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(answer, `{"taken": %d}`, len(slots))
	})
	http.HandleFunc("/events", func(answer http.ResponseWriter, request *http.Request) {
		select {
		case slots <- struct{}{}:
		default:
			answer.Header().Set("Retry-After", "30")
			http.Error(answer, "every slot is taken", http.StatusTooManyRequests)
			return
		}
		answer.Header().Set("Content-Type", "text/event-stream")
		for number := 0; number < 3000; number++ {
			fmt.Fprintf(answer, "data: %d\n\n", number)
			answer.(http.Flusher).Flush()
			select {
			case <-request.Context().Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
		<-slots
	})
	if err := http.ListenAndServe("127.0.0.1:"+os.Args[1], nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
