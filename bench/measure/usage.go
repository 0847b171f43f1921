package measure

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTick is the unit of the processor times under /proc; Linux shows all
// programs this one, whatever its own is.
const clockTick = 10 * time.Millisecond

// Processor returns the processor time that this process has used.
func Processor() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// ProcessorOf returns the processor time that another process and its children
// that are alive have used, to a hundredth of a second.
func ProcessorOf(pid int) time.Duration {
	total, _ := processorAndParent(strconv.Itoa(pid))
	stats, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range stats {
		if used, parent := processorAndParent(filepath.Base(dir)); parent == pid {
			total += used
		}
	}
	return total
}

// ParentOf returns the process that started another one; 0 if it is unknown.
func ParentOf(pid int) int {
	_, parent := processorAndParent(strconv.Itoa(pid))
	return parent
}

// processorAndParent reads /proc/PID/stat. The fields are counted from behind
// the name of the program, which may hold anything.
func processorAndParent(pid string) (used time.Duration, parent int) {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, 0
	}
	parent, _ = strconv.Atoi(fields[1])
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick, parent
}

// Resident returns how many bytes of this process are in memory, once all that
// Go can give back has been given back.
func Resident() (int64, error) {
	runtime.GC()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		// Pages of mapped files are in memory only as long as nobody needs the
		// room; what counts is what the process holds for itself.
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kilobytes, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("no RssAnon in /proc/self/status")
}
