import ArgumentParser
import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortRemote

/// Asks a real server and the same checkpoint in this process the same things, greedily, and compares the texts:
/// chats, messages that have begun, and prompts sent as tokens. Ends with code 1 when a text differs.
@main
struct RemoteParity: AsyncParsableCommand {
    @Argument(help: "The server, such as http://127.0.0.1:8080.") var address: String
    @Argument(help: "The folder of the checkpoint it serves.") var folder: String
    @Option(help: "What the server calls it.") var model = "model"
    @Option(help: "How messages that have begun are sent.") var prefill = "automatic"

    private static let questions = [
        "What is the birthplace of the mayor of Tarn?",
        "The shop of Bela has 12 boxes with 7 apples each. It sells 5. How "
            + "many apples are there in the end?", "In which year was the founder of Ostra born?",
    ]

    func run() async throws {
        guard let form = Endpoint.Prefill(rawValue: prefill) else { throw ValidationError("--prefill is \(prefill)") }
        let local = try LocalModel(folder: URL(fileURLWithPath: folder), identity: "local")
        let checkpoint = try Checkpoint(folder: URL(fileURLWithPath: folder))
        let (template, tokenizer) = (checkpoint.template, checkpoint.tokenizer)
        let endpoint = try Endpoint(address, model: model, prefill: form)
        var differences = 0
        func compare(_ name: String, _ remote: RemoteModel, _ change: (inout GenerationRequest) -> Void) async throws {
            for question in Self.questions {
                let view = CodeAgentView(instructions: .brief, tools: [])
                let start = Trajectory(
                    task: AgentTask(id: "q", question: question, answers: [], family: .math),
                    provenance: Provenance(policy: "", model: ""))
                var request = GenerationRequest(messages: view.messages(for: start), maximumTokens: 48)
                change(&request)
                let (mine, theirs) = (try await local.complete(request), try await remote.complete(request))
                let isSame = mine.map(\.text) == theirs.map(\.text)
                differences += isSame ? 0 : 1
                let usage = theirs[0].usage
                print(
                    "\(isSame ? "same" : "DIFFERENT")  \(name)  \(usage.promptTokens) + \(usage.completionTokens) tokens"
                )
                if !isSame { print("  here  \(mine[0])\n  there \(theirs[0])") }
            }
        }
        for streams in [true, false] {
            let remote = try RemoteModel([endpoint], options: RemoteOptions(streams: streams))
            let how = streams ? "streamed" : "whole"
            try await compare("chat, \(how)", remote) { _ in }
            try await compare("begun message, \(how)", remote) { $0.prefill = "Thought: The numbers are" }
            try await compare("stop, \(how)", remote) { $0.stops = ["```py"] }
            let options = RemoteOptions(
                operation: .completions { messages, prefill in
                    .tokens(try template.render(messages, then: .generation(prefill: prefill), with: tokenizer).tokens)
                }, streams: streams)
            let plain = try RemoteModel([endpoint], options: options)
            try await compare("tokens, \(how)", plain) { $0.prefill = "Thought: The numbers are" }
        }
        let remote = try RemoteModel([endpoint])
        var drawn = GenerationRequest(
            messages: [Message(.user, Self.questions[1])], samples: 3, sampling: Sampling(temperature: 1, seed: 5),
            maximumTokens: 12)
        drawn.report = .logprobs(alternatives: 2)
        let replies = try await remote.complete(drawn)
        let reported = replies.map { "\($0.report.count) tokens with probabilities" }
        print("samples  \(replies.count) for 3 asked, \(Set(replies.map(\.text)).count) different; \(reported)")
        if differences > 0 { throw ExitCode(1) }
    }
}
