package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// ChatMessage is one turn.
type ChatMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// ChatRequest is the part of OpenAI's request that our own tools send.
type ChatRequest struct {
	Model       string        `json:"model"`
	Messages    []ChatMessage `json:"messages"`
	MaxTokens   int           `json:"max_tokens,omitempty"`
	Temperature *float64      `json:"temperature,omitempty"`
	TopP        *float64      `json:"top_p,omitempty"`
	Seed        *int64        `json:"seed,omitempty"`
	Stop        []string      `json:"stop,omitempty"`
	IgnoreEOS   bool          `json:"ignore_eos,omitempty"`
}

// Usage counts tokens.
type Usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
	Details          struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
}

// ChatDelta is one event of a streamed chat: text, the reason it ended, or usage.
type ChatDelta struct {
	Content string
	Finish  string
	Usage   *Usage
}

// ErrStreamCut says that a stream ended before its [DONE].
var ErrStreamCut = errors.New("the stream ended early")

type chatChunk struct {
	Choices []struct {
		Delta  struct{ Content string } `json:"delta"`
		Finish *string                  `json:"finish_reason"`
	} `json:"choices"`
	Usage *Usage `json:"usage"`
	Error *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// ChatStream streams the answer to req, calling each for every event in order.
// It ends early with the error that each returns.
func (c *Client) ChatStream(ctx context.Context, req ChatRequest, each func(ChatDelta) error) error {
	body, err := json.Marshal(struct {
		ChatRequest
		Stream  bool            `json:"stream"`
		Options map[string]bool `json:"stream_options"`
	}{req, true, map[string]bool{"include_usage": true}})
	if err != nil {
		return err
	}
	r, err := c.request(ctx, http.MethodPost, "/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(r)
	if err != nil {
		return c.explain(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		return readError(resp)
	}
	return readChat(resp.Body, each)
}

func readChat(r io.Reader, each func(ChatDelta) error) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 64<<10), 16<<20)
	for sc.Scan() {
		data, ok := strings.CutPrefix(sc.Text(), "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			return nil
		}
		d, err := parseChunk(data)
		if err != nil {
			return err
		}
		if err := each(d); err != nil {
			return err
		}
	}
	if err := sc.Err(); err != nil {
		return err
	}
	return ErrStreamCut
}

func parseChunk(data string) (ChatDelta, error) {
	var k chatChunk
	if err := json.Unmarshal([]byte(data), &k); err != nil {
		return ChatDelta{}, fmt.Errorf("bad event in stream: %w", err)
	}
	if k.Error != nil {
		return ChatDelta{}, &Error{Message: k.Error.Message}
	}
	d := ChatDelta{Usage: k.Usage}
	if len(k.Choices) > 0 {
		d.Content = k.Choices[0].Delta.Content
		if f := k.Choices[0].Finish; f != nil {
			d.Finish = *f
		}
	}
	return d, nil
}

// ServedModels lists the model names the endpoint answers to.
func (c *Client) ServedModels(ctx context.Context) ([]string, error) {
	list, err := call[struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}](ctx, c, http.MethodGet, "/v1/models", nil)
	names := make([]string, 0, len(list.Data))
	for _, m := range list.Data {
		names = append(names, m.ID)
	}
	return names, err
}
