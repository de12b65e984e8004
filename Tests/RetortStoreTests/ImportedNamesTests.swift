import Foundation
import RetortCore
import RetortStore
import Testing

@Suite("Imports that do not overwrite each other")
struct ImportedNamesTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    private func chat(_ question: String, _ answer: String, id: String? = nil) -> String {
        let name = id.map { #""id":"\#($0)","# } ?? ""
        return
            #"{\#(name)"messages":[{"role":"user","content":"\#(question)"},{"role":"assistant","content":"\#(answer)"}]}"#
    }

    private func read(
        _ text: String, _ name: String = "a.jsonl", as format: TrajectoryFormat = .auto,
        options: RecordedTrajectories.Options = .init()
    ) throws -> (trajectories: [StoredTrajectory], account: ImportAccount) {
        try RecordedTrajectories.stored(try folder.file(name, text), format: format, options: options)
    }

    @Test("different questions under one id become different tasks; one question again is an attempt")
    func sameID() throws {
        let lines = [chat("One?", "1", id: "7"), chat("Two?", "2", id: "7"), chat("One?", "1b", id: "7")]
        let (stored, account) = try read(lines.joined(separator: "\n"))
        #expect(stored.map(\.trajectory.id) == ["7/teacher/0", "7#2/teacher/0", "7/teacher/1"])
        #expect(stored.map(\.trajectory.task.id) == ["7", "7#2", "7"])
        #expect(account.repairs.contains { $0.key.hasPrefix("different questions") && $0.value == [2] })
    }

    private func atif(_ session: String, _ question: String, _ answer: String) -> String {
        #"{"schema_version":"ATIF-v1.4","session_id":"\#(session)","agent":{"name":"x","version":"1","model_name":"m"},"#
            + #""steps":[{"step_id":1,"source":"user","message":"\#(question)"},"#
            + #"{"step_id":2,"source":"agent","message":"\#(answer)"}]}"#
    }

    @Test("documents of published formats have ids of their own, and take split and questions")
    func published() throws {
        let known = AgentTask(id: "k", question: "One?", answers: ["1"], family: .math, split: "dev")
        let (stored, account) = try read(
            [atif("s", "One?", "1"), atif("s", "Two?", "2"), atif("s", "Two?", "3")].joined(separator: "\n"),
            options: .init(split: "mine", tasks: [known]))
        #expect(stored.map(\.trajectory.id) == ["k/x/0", "s/x/0", "s/x/1"])
        #expect(stored.map(\.trajectory.task.split) == ["dev", "mine", "mine"])
        #expect(stored[0].trajectory.task.answers == ["1"])
        #expect(account.matched == 1)
        #expect(account.description.contains("1 of 3 trajectories are of the given questions"))
    }

    @Test("FireAct's ids begin with the file's name, and its tasks are of the given split and family")
    func fireAct() throws {
        let record =
            #"{"instruction":"Q","output":"Thought: I know.\nAction: finish[A]\nObservation: Episode finished, reward = True"}"#
        let (stored, account) = try read(
            record + "\n" + #"{"instruction":"R"}"#, "fire.jsonl", as: .fireact,
            options: .init(family: .math, split: "mine"))
        #expect(stored.map(\.trajectory.task.id) == ["fire-0"])
        #expect(stored.first?.trajectory.task.split == "mine")
        #expect(stored.first?.trajectory.task.family == .math)
        #expect(account.rejections.map(\.record) == [2])
    }

    @Test("a set keeps every trajectory of two files of one name, and knows what it has already")
    func twoFiles() async throws {
        let store = try TrajectoryStore(folder.file("s.sqlite"))
        let first = try read(chat("One?", "1")).trajectories
        let second = try read(chat("Two?", "2")).trajectories
        let third = try read(chat("One?", "one")).trajectories
        #expect(first[0].trajectory.id == second[0].trajectory.id)
        #expect(try await store.importing(first, in: "t").added == 1)
        #expect(try await store.importing(second, in: "t") == .init(added: 1, known: 0, renamed: 1))
        #expect(try await store.importing(third, in: "t").renamed == 1)
        for again in [first, second, third] {
            #expect(try await store.importing(again, in: "t") == .init(added: 0, known: 1, renamed: 0))
        }
        #expect(try await store.ids(in: "t") == ["a-1/teacher/0", "a-1#2/teacher/0", "a-1/teacher/1"])
        #expect(Set(try await store.entries(in: "t").map(\.trajectory.answer)) == ["1", "2", "one"])
    }

    @Test("samples of a solution in lines of the same number are all kept")
    func samples() throws {
        let line =
            ##"{"idx":1,"question":"Q","gt":"2","code":["It is \\boxed{2}.","So \\boxed{2}."],"pred":["2","2"]}"##
        let (stored, account) = try read(line + "\n" + line.replacing("\"Q\"", with: "\"R\""), "t.jsonl")
        #expect(Set(stored.map(\.trajectory.id)).count == 4)
        #expect(account.records == 2 && account.imported == 4)
    }
}

@Suite("Files that are not all of one form")
struct MixedFilesTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    private let chat = #"{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}"#

    @Test("a file has the format of most of its records, and the others are left out by name")
    func majority() throws {
        let file = try folder.file("a.jsonl", [#"{"spam":1}"#, chat, chat, "[1]"].joined(separator: "\n"))
        let (trajectories, account) = try RecordedTrajectories.read(file, format: .auto)
        #expect(trajectories.count == 2)
        #expect(account.format == .messages)
        #expect(account.rejections.map(\.record) == [1, 4])
    }

    @Test("a file of two formats, of which neither has the most records, names both")
    func halves() throws {
        let other = #"{"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}]}"#
        let file = try folder.file("a.jsonl", chat + "\n" + other)
        #expect(
            throws: RecordedTrajectoriesError.ambiguous(file: file.path, candidates: [.messages, .shareGPT])
        ) { try RecordedTrajectories.read(file, format: .auto) }
    }

    @Test("a session that holds only a summary does not keep its folder from being read")
    func summaries() throws {
        _ = try folder.file("a.jsonl", #"{"type":"summary","summary":"s","leafUuid":"u"}"#)
        _ = try folder.file(
            "b.jsonl",
            #"{"type":"user","uuid":"1","parentUuid":null,"sessionId":"s","message":{"role":"user","content":"Q"}}"#
                + "\n"
                + #"{"type":"assistant","uuid":"2","parentUuid":"1","sessionId":"s","message":{"id":"m","role":"assistant","content":[{"type":"text","text":"A"}]}}"#
        )
        let (trajectories, account) = try RecordedTrajectories.read(folder.url, format: .auto)
        #expect(account.format == .claudeCode)
        #expect(trajectories.map(\.answer) == ["A"])
    }

    @Test("files beside those that are read are told")
    func beside() throws {
        _ = try folder.file("a.jsonl", chat)
        _ = try folder.file("b.json", "[\(chat)]")
        let account = try RecordedTrajectories.read(folder.url, format: .auto).account
        #expect(account.imported == 1)
        #expect(account.unread.keys.contains { $0.hasPrefix("b.json") })
    }

    @Test("a folder of a published format is read file by file")
    func folderOfSolutions() throws {
        let line = ##"{"idx":1,"question":"Q","gt":"2","code":["It is \\boxed{2}."],"pred":["2"]}"##
        for name in ["a.jsonl", "b.jsonl"] { _ = try folder.file(name, line) }
        let (trajectories, account) = try RecordedTrajectories.read(folder.url, format: .tora)
        #expect(trajectories.map(\.task.id) == ["a-1", "b-1"])
        #expect(account.imported == 2)
    }

    @Test("ATIF's documents are read one a line whatever the file's ending is", arguments: ["a.json", "a.ndjson"])
    func lines(name: String) throws {
        let document =
            #"{"schema_version":"ATIF-v1.4","session_id":"s","agent":{"name":"x"},"steps":[{"source":"user","message":"Q"},{"source":"agent","message":"A"}]}"#
        let file = try folder.file(name, document + "\n" + document)
        #expect(try RecordedTrajectories.read(file, format: .auto).trajectories.count == 2)
    }
}
