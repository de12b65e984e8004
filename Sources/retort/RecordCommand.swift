import ArgumentParser
import Foundation
import Logging
import RetortServer
import RetortStore
import ServiceLifecycle

/// `retort record`
struct RecordCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "record", abstract: "Record what an agent does, as a proxy in front of its model.",
        discussion: """
              retort record --upstream https://api.openai.com/v1 --store teacher.sqlite
              OPENAI_BASE_URL=http://127.0.0.1:8100/v1 python my_agent.py

            Only the address that the agent uses is changed. Its calls are passed on unchanged, keys included, which \
            are stored nowhere; calls with common beginnings become one trajectory of the set 'recorded', saved after \
            each call. 'retort inspect teacher.sqlite' shows them. OpenAI's chat completions and Anthropic's Messages \
            are recorded, streamed or not; everything else is passed on.
            """)

    @Option(help: "The address of the model's server.") var upstream: String
    @Option(help: "The trajectory store; it is created if it does not exist.") var store: String
    @Option(help: "The set in the store.") var set: String = TrajectoryRecorder.set
    @Option(help: "The interface; 0.0.0.0 is every one, and lets others use the key.") var host = "127.0.0.1"
    @Option(help: "The port; 0 takes any free one.") var port = 8100
    @Option(help: "The environment variable with a key for the model's server, for agents that send none.")
    var apiKeyEnv: String?
    @Option(help: "The longest a call may take, in seconds.") var seconds = 3600.0

    func run() async throws {
        var options = RecorderOptions(upstream: upstream)
        (options.host, options.port, options.seconds) = (host, port, seconds)
        if let apiKeyEnv {
            guard let key = ProcessInfo.processInfo.environment[apiKeyEnv], !key.isEmpty else {
                throw ValidationError("the environment has no \(apiKeyEnv); set it, or leave --api-key-env out")
            }
            options.key = key
        }
        let recorder = try await TrajectoryRecorder(TrajectoryStore(URL(fileURLWithPath: store)), set: set)
        let server = try RecorderServer(recorder, options: options) { [host, upstream, store] port in
            // Not with `print`, which buffers when the output is a pipe.
            FileHandle.standardOutput.write(
                Data("Recording \(upstream) at http://\(host):\(port) into \(store)\n".utf8))
        }
        InterruptHandler.shared.allow(seconds: 40)
        let group = ServiceGroup(services: [server], logger: Logger(label: "retort.recorder"))
        let work = Task { try await group.run() }
        try await withTaskCancellationHandler {
            try await work.value
        } onCancel: {
            Task { await group.triggerGracefulShutdown() }
        }
    }
}
