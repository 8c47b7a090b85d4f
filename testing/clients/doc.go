// Package clients drives a running fleet with the clients that people use: OpenAI's
// own for Python and Node, LangChain and Vercel's AI SDK. What they take for granted
// must hold. Each has a script of its name here; requirements.txt and
// package-lock.json pin them.
package clients
