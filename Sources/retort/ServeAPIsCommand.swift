import ArgumentParser
import Foundation
import Logging
import RetortAgents
import RetortCore
import RetortRecipes
import RetortServer
import RetortStore
import ServiceLifecycle

/// `retort serve-apis`
struct ServeAPIsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve-apis", abstract: "Serve virtual APIs by StableToolBench's protocol, imitated by a model.",
        discussion: """
              retort serve-apis --model checkpoints/qwen --queries G3_instruction.json --cache replies.sqlite
              retort serve-apis --endpoint https://api.example.com/v1 --endpoint-model large --endpoint-key API_KEY \
            --queries eval_simulated.json --cache replies.sqlite
              curl http://127.0.0.1:8080/virtual -d '{"category": "Media", "tool_name": "Vimeo", "api_name": \
            "SearchVideos", "tool_input": {"query": "birds"}}'

            Replies come from the cache, otherwise from the cache folder of StableToolBench, otherwise from the model, \
            which reads the API's document: from ToolBench's queries, or the OpenAPI text of ToolAlpaca. A function \
            without a document is refused.
            """)

    @OptionGroup(title: "The model that imitates the APIs") var model: ModelOptions
    @Flag(help: "Have the endpoint hold replies to their JSON schema (response_format), which not every server can.")
    var enforceSchema = false
    @Option(help: "Files of queries, or of ToolAlpaca, whose APIs are served.") var queries: [String] = []
    @Option(help: "Remember replies in this file.") var cache: String?
    @Option(help: "A cache folder of StableToolBench, for reading.") var published: String?
    @Option(help: "The interface to listen on; 0.0.0.0 is all of them.") var host = "127.0.0.1"
    @Option(help: "The port; 0 takes any free one.") var port = 8080
    @Option(help: "The most calls that are worked on at once.") var maximumRunning = 32
    @Option(help: "The longest a call may take, in seconds.") var seconds = 120.0
    @Option(help: "The most tokens of a reply.") var maximumTokens = 512
    @Option(help: "0 gives the same reply to the same call.") var temperature = 0.0

    func validate() throws {
        guard !enforceSchema || model.endpoint != nil else {
            throw ValidationError(
                "--enforce-schema needs --endpoint: a checkpoint's replies are held to the schema anyway.")
        }
    }

    func run() async throws {
        var documents: [VirtualAPIName: JSONValue] = [:]
        for file in queries {
            documents.merge(try VirtualAPITasks(URL(fileURLWithPath: file)).documents) { first, _ in first }
        }
        let known = documents
        let imitator = try await model.place().open(
            concurrency: maximumRunning, seconds: seconds, schema: enforceSchema ? SimulatedAPIs.replySchema : nil)
        let replies = try ReplyCache(
            cache.map { URL(fileURLWithPath: $0) }, published: published.map { URL(fileURLWithPath: $0) }
        ) { examples in
            SimulatedAPIs(
                imitator, documents: known, temperature: temperature, maximumTokens: maximumTokens,
                examples: { try await examples($0) })
        }
        let server = VirtualAPIServer(
            replies, host: host, port: port, maximumRunning: maximumRunning, seconds: seconds
        ) { port in
            // Not with `print`, which buffers when the output is a pipe.
            let count = known.isEmpty ? "any" : String(known.count)
            FileHandle.standardOutput.write(Data("Serving \(count) APIs at http://\(host):\(port)/virtual\n".utf8))
        }
        // Running calls may finish.
        InterruptHandler.shared.allow(seconds: seconds + 10)
        let group = ServiceGroup(services: [server], logger: Logger(label: "retort.apis"))
        let work = Task { try await group.run() }
        try await withTaskCancellationHandler {
            try await work.value
        } onCancel: {
            Task { await group.triggerGracefulShutdown() }
        }
    }
}
