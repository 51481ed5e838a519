// Serves one small model on loopback as OpenAI's chat completions, one request at a time, on one thread.
// Prints its port, and ends when its standard input does.
import {createServer} from "node:http";
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";

const [folder, modelPath] = process.argv.slice(2);
const found = createRequire(pathToFileURL(`${folder}/`)).resolve("node-llama-cpp");
const {getLlama, LlamaChatSession} = await import(pathToFileURL(found));
const llama = await getLlama({gpu: false, build: "never", maxThreads: 1, logLevel: "error"});
const model = await llama.loadModel({modelPath});
const context = await model.createContext({contextSize: 8192, threads: 1});
const sequence = context.getSequence();
let turn = Promise.resolve();

async function answer({messages, max_tokens, max_completion_tokens, temperature = 0}) {
  const said = (role) => messages.filter((one) => one.role === role).map((one) => one.content).join("\n\n");
  await sequence.clearHistory();
  const session = new LlamaChatSession({contextSequence: sequence, systemPrompt: said("system")});
  const before = sequence.tokenMeter.getState();
  const most = max_tokens ?? max_completion_tokens ?? 512;
  const {responseText, stopReason} = await session.promptWithMeta(said("user"), {maxTokens: most, temperature});
  session.dispose({disposeSequence: false});
  const {usedInputTokens, usedOutputTokens} = sequence.tokenMeter.diff(before);
  return {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 0,
    model: "smollm2",
    choices: [
      {
        index: 0,
        message: {role: "assistant", content: responseText},
        finish_reason: stopReason === "maxTokens" ? "length" : "stop",
      },
    ],
    usage: {
      prompt_tokens: usedInputTokens,
      completion_tokens: usedOutputTokens,
      total_tokens: usedInputTokens + usedOutputTokens,
    },
  };
}

const server = createServer((request, response) => {
  let body = "";
  request.on("data", (piece) => (body += piece));
  request.on("end", () => {
    turn = turn.then(async () => {
      let status = 200;
      const told = await answer(JSON.parse(body)).catch((error) => {
        status = 500;
        return {error: {message: String(error)}};
      });
      response.writeHead(status, {"content-type": "application/json"});
      response.end(JSON.stringify(told));
    });
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
