// The oracle loads Compose projects with compose-go, the loader of `docker compose`.
//
// It reads one JSON object a line: {"id", "dir", "files", "profiles"}. For each it prints one JSON object a
// line: {"id", "project"} or {"id", "error"}. Projects are loaded in parallel, so the order may differ.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/sirupsen/logrus"
)

type request struct {
	ID       string   `json:"id"`
	Dir      string   `json:"dir"`
	Files    []string `json:"files"`
	Profiles []string `json:"profiles"`
}

type answer struct {
	ID      string          `json:"id"`
	Project json.RawMessage `json:"project,omitempty"`
	Error   string          `json:"error,omitempty"`
}

func load(r request) (raw json.RawMessage, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	var files []string
	for _, f := range r.Files {
		files = append(files, filepath.Join(r.Dir, f))
	}
	// The order in which `docker compose` sets these.
	options, err := cli.NewProjectOptions(files,
		cli.WithWorkingDirectory(r.Dir),
		cli.WithOsEnv,
		cli.WithEnvFiles(),
		cli.WithDotEnv,
		cli.WithConfigFileEnv,
		cli.WithDefaultConfigPath,
		cli.WithDefaultProfiles(r.Profiles...),
		cli.WithNormalization(true),
		cli.WithConsistency(true),
		cli.WithResolvedPaths(true),
	)
	if err != nil {
		return nil, err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return nil, err
	}
	return json.Marshal(project)
}

func main() {
	logrus.SetOutput(io.Discard)
	requests, answers := make(chan request), make(chan answer)
	var workers sync.WaitGroup
	for range runtime.NumCPU() {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for r := range requests {
				project, err := load(r)
				a := answer{ID: r.ID, Project: project}
				if err != nil {
					a.Error = err.Error()
				}
				answers <- a
			}
		}()
	}
	go func() {
		lines := bufio.NewScanner(os.Stdin)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var r request
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				fmt.Fprintln(os.Stderr, "oracle: a request is no JSON:", err)
				os.Exit(2)
			}
			requests <- r
		}
		close(requests)
		workers.Wait()
		close(answers)
	}()
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for a := range answers {
		line, err := json.Marshal(a)
		if err != nil {
			fmt.Fprintln(os.Stderr, "oracle:", err)
			os.Exit(2)
		}
		fmt.Fprintln(out, string(line))
	}
}
