import Foundation
import RetortCore
import RetortStore
import Testing

@Suite("Recorder of trajectories")
struct TrajectoryRecorderTests {
    private let folder: ScratchFolder
    private let store: TrajectoryStore
    private let recorder: TrajectoryRecorder

    init() async throws {
        folder = try ScratchFolder()
        store = try TrajectoryStore(folder.file("r.sqlite"))
        recorder = try await TrajectoryRecorder(store)
    }

    private static func user(_ text: String) -> JSONValue { ["role": "user", "content": .string(text)] }
    private static func assistant(_ text: String) -> JSONValue { ["role": "assistant", "content": .string(text)] }
    private static func call(_ id: String, _ name: String, _ arguments: String) -> JSONValue {
        [
            "role": "assistant", "content": .null,
            "tool_calls": [
                [
                    "id": .string(id), "type": "function",
                    "function": ["name": .string(name), "arguments": .string(arguments)],
                ]
            ],
        ]
    }
    private static func result(_ id: String, _ text: String) -> JSONValue {
        ["role": "tool", "tool_call_id": .string(id), "content": .string(text)]
    }

    private func request(_ messages: [JSONValue], _ api: RecordedAPI = .chatCompletions) throws -> RecordedRequest {
        try RecordedRequest(json: ExactJSON.text(["model": "m", "messages": .array(messages)]).utf8, api)
    }

    /// Records a call that answered, and returns its messages with the answer.
    private func say(
        _ messages: [JSONValue], _ answer: JSONValue, by recorder: TrajectoryRecorder? = nil
    ) async throws -> [JSONValue] {
        let body: JSONValue = [
            "choices": [["message": answer]], "usage": ["prompt_tokens": 5, "completion_tokens": 2],
        ]
        let replies = try RecordedReply.replies(json: ExactJSON.text(body).utf8, .chatCompletions)
        try await (recorder ?? self.recorder).record(request(messages), .success(replies), seconds: 1)
        return messages + [answer]
    }

    private var stored: [Trajectory] {
        get async throws { try await store.entries(in: "recorded", order: .asSaved).map(\.trajectory) }
    }

    @Test("calls whose messages begin with an earlier call's and its reply are one trajectory, saved after each")
    func oneRun() async throws {
        var messages = try await say([Self.user("Q")], Self.call("c1", "find", #"{"q": 1}"#))
        #expect(try await stored.map(\.ending) == [nil])
        messages = try await say(messages + [Self.result("c1", "one")], Self.assistant("A"))
        let trajectory = try #require(try await stored.first)
        #expect(try await stored.count == 1)
        #expect(trajectory.steps.map(\.action) == [.toolCall(name: "find", arguments: ["q": 1]), .answer("A")])
        #expect(trajectory.steps[0].observation.text == "one")
        #expect(trajectory.usage == Usage(promptTokens: 10, completionTokens: 4, seconds: 2))
        #expect(trajectory.ending == .answered("A"))
        // The user speaks again: the same run goes on.
        _ = try await say(messages + [Self.user("And?")], Self.assistant("B"))
        #expect(try await stored.map(\.answer) == ["B"])
    }

    @Test("counts of tokens beyond reason end no recording", arguments: [Int.max, .min])
    func counts(count: Int) async throws {
        let count = JSONValue.integer(count)
        let answers: [(RecordedAPI, JSONValue)] = [
            (
                .chatCompletions,
                [
                    "choices": [["message": Self.assistant("A")]],
                    "usage": ["prompt_tokens": count, "completion_tokens": count],
                ]
            ),
            (
                .messages,
                [
                    "role": "assistant", "content": "A",
                    "usage": [
                        "input_tokens": count, "cache_creation_input_tokens": count, "cache_read_input_tokens": count,
                        "output_tokens": count,
                    ],
                ]
            ),
        ]
        for (api, body) in answers {
            var messages = [Self.user("Q of \(api)")]
            for _ in 0..<2 {
                let replies = try RecordedReply.replies(json: ExactJSON.text(body).utf8, api)
                try await recorder.record(request(messages, api), .success(replies), seconds: 1)
                messages += [Self.assistant("A"), Self.user("And?")]
            }
        }
        #expect(try await stored.count == 2)
        for usage in try await stored.map(\.usage) {
            #expect(usage.promptTokens >= 0 && usage.promptTokens + usage.completionTokens <= 1 << 45)
        }
    }

    @Test("a recorder that starts again goes on with the run, and so after any number of kills")
    func again() async throws {
        var messages = try await say([Self.user("Q")], Self.call("c1", "find", "{}"))
        for turn in 2...4 {
            let next = try await TrajectoryRecorder(try TrajectoryStore(folder.file("r.sqlite")))
            messages = try await say(
                messages + [Self.result("c\(turn - 1)", "r")], Self.call("c\(turn)", "find", "{}"), by: next)
        }
        #expect(try await stored.map(\.steps.count) == [4])
        #expect(try await stored.first?.steps.prefix(3).map(\.observation.text) == ["r", "r", "r"])
    }

    @Test("runs at once that begin alike are apart, whatever their order")
    func parallel() async throws {
        var first = try await say([Self.user("Q")], Self.call("a", "find", "{}"))
        var second = try await say([Self.user("Q")], Self.call("b", "find", "{}"))
        second = try await say(second + [Self.result("b", "2")], Self.assistant("B"))
        first = try await say(first + [Self.result("a", "1")], Self.assistant("A"))
        #expect(try await stored.map(\.answer) == ["A", "B"])
        #expect(try await stored.map { $0.steps[0].observation.text } == ["1", "2"])
        #expect(try await stored.map(\.id).count == 2)
        #expect(try await stored.allSatisfy { $0.task.metadata["recorded"]?["from"] == nil })
    }

    @Test("a changed history is a trajectory of its own that says where it came from")
    func changed() async throws {
        let messages = try await say([Self.user("Q")], Self.call("a", "find", "{}"))
        _ = try await say(messages + [Self.result("a", "1")], Self.assistant("A"))
        _ = try await say(
            messages + [Self.result("a", "other"), Self.assistant("A"), Self.user("So?")], Self.assistant("B"))
        let all = try await stored
        #expect(all.map(\.answer) == ["A", "B"])
        #expect(
            all[1].task.metadata["recorded"]?["from"]
                == ["trajectory": .string(all[0].id), "messages": 2, "changed": "messages"])
        #expect(all[1].steps[0].observation.text == "other")
    }

    @Test("a client that tells the reply in its own words goes on with the run, and the model's words are kept")
    func retold() async throws {
        let reply = "Thought: I compute.\n<code>\nx = 1\nprint(x)\n"
        var messages = try await say([Self.user("New task:\nQ")], Self.assistant(reply))
        messages = [
            messages[0],
            Self.assistant(
                reply.trimmingCharacters(in: .whitespacesAndNewlines)
                    + "</code>\nCalling tools:\n[{'id': 'c', 'type': 'function', 'function': {'name': 'python_interpreter', 'arguments': 'x = 1'}}]"
            ), Self.user("Observation:\nExecution logs:\n1\nLast output from code snippet:\nNone"),
        ]
        _ = try await say(messages, Self.assistant("Thought: Done.\n<code>\nfinal_answer(1)\n</code>"))
        let all = try await stored
        #expect(all.count == 1)
        #expect(all[0].task.question == "Q")
        #expect(all[0].steps.map(\.action.code) == ["x = 1\nprint(x)", "final_answer(1)"])
        #expect(all[0].steps[0].observation.text == "1")
        #expect(all[0].ending == .answered(1))
    }

    @Test("a reply that the client leaves out, telling what came of it in the message before, stays in the run")
    func leftOut() async throws {
        let start = [Self.user("Q")]
        _ = try await say(start, Self.call("a", "find", "{}"))
        let told =
            start + [Self.assistant("Calling tools:\n[{'id': 'a', 'function': {'name': 'find', 'arguments': {}}}]")]
        _ = try await say(told + [Self.user("Observation:\n1")], Self.call("b", "find", #"{"x": 1}"#))
        let longer = told + [Self.user("Observation:\n1\nError:\nValueError: no\nNow let's retry: x")]
        _ = try await say(longer, Self.call("c", "final_answer", #"{"answer": 2}"#))
        let all = try await stored
        #expect(all.count == 1)
        #expect(
            all[0].steps.map(\.action) == [
                .toolCall(name: "find", arguments: [:]), .toolCall(name: "find", arguments: ["x": 1]), .answer(2),
            ])
        #expect(all[0].steps.map(\.observation.text) == ["1", "ValueError: no", ""])
        #expect(all[0].steps[1].observation.outcome == .executionError(type: "ValueError", message: "no"))
    }

    @Test(
        "a reply that the client tells without its call, because that failed, stays in the run",
        arguments: ["", "I try."])
    func withoutCall(words: String) async throws {
        var answer = Self.call("b", "find", #"{"x": 1}"#).object ?? [:]
        answer["content"] = .string(words)
        let start = [Self.user("Q")]
        _ = try await say(start, .object(answer))
        _ = try await say(
            start + [Self.assistant(words), Self.user("Error:\nValueError: no\nNow let's retry: x")],
            Self.assistant("A"))
        let all = try await stored
        #expect(all.map(\.answer) == ["A"])
        #expect(all[0].steps[0].action == .toolCall(name: "find", arguments: ["x": 1]))
        #expect(all[0].steps[0].observation.outcome == .executionError(type: "ValueError", message: "no"))
    }

    @Test("a call that failed ends its run as failed, until the same call is made again")
    func failure() async throws {
        let messages = try await say([Self.user("Q")], Self.call("a", "find", "{}")) + [Self.result("a", "1")]
        try await recorder.record(request(messages), .failure(.broken("it broke off")), seconds: 1)
        #expect(try await stored.map(\.ending) == [.failed("it broke off")])
        _ = try await say(messages, Self.assistant("A"))
        let all = try await stored
        #expect(all.map(\.answer) == ["A"])
        #expect(all[0].task.metadata["recorded"]?["failures"] == ["it broke off"])
    }

    @Test("several choices are a run each, and the one that is gone on with goes on")
    func choices() async throws {
        let body: JSONValue = ["choices": [["message": Self.assistant("x")], ["message": Self.assistant("y")]]]
        let replies = try RecordedReply.replies(json: ExactJSON.text(body).utf8, .chatCompletions)
        try await recorder.record(request([Self.user("Q")]), .success(replies), seconds: 1)
        _ = try await say([Self.user("Q"), Self.assistant("y"), Self.user("Z")], Self.assistant("z"))
        #expect(try await stored.map(\.answer) == ["x", "z"])
    }

    @Test(
        "streams are put together: text, thoughts, calls in pieces, costs",
        arguments: [
            (
                RecordedAPI.chatCompletions,
                """
                data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}

                data: {"choices":[{"index":0,"delta":{"content":"I "}}]}\r
                \r
                data: {"choices":[{"index":0,"delta":{"content":"look."}}]}

                data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","function":{"name":"find","arguments":""}}]}}]}

                data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"q\\""}}]}}]}

                data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":": 1}"}}]}}]}

                data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4}}

                data: [DONE]


                """
            ),
            (
                RecordedAPI.messages,
                """
                event: message_start
                data: {"type":"message_start","message":{"role":"assistant","usage":{"input_tokens":9,"output_tokens":1}}}

                data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

                data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"I look."}}

                data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"c1","name":"find","input":{}}}

                data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\\"q\\""}}

                data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":": 1}"}}

                data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":4}}

                data: {"type":"message_stop"}


                """
            ),
        ])
    func stream(api: RecordedAPI, text: String) throws {
        let replies = try RecordedReply.replies(events: text.utf8, api)
        #expect(
            replies == [
                Dialogue.Reply(
                    text: "I look.", calls: [Dialogue.Call(id: "c1", name: "find", arguments: ["q": 1])],
                    usage: Usage(promptTokens: 9, completionTokens: 4))
            ])
        let cut = text.replacing("data: [DONE]", with: "").replacing(#"data: {"type":"message_stop"}"#, with: "")
        #expect(throws: RecordingError.self) { try RecordedReply.replies(events: cut.utf8, api) }
    }
}
