import Foundation
import RetortCore
import RetortDomains
import RetortStore
import Testing

@testable import RetortRecipes

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// The examples as they are committed, cut short: every part works, and little is learned.
@Suite("Examples", .serialized, .timeLimit(.minutes(30)))
struct ExampleTests {
    private static let names = ["shop-support", "sql-analyst", "wiki-search", "word-problems"]

    @Test("a domain is ready to be run", arguments: names)
    func check(name: String) async throws {
        let index = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: index) }
        let domain = try await FolderDomain(
            DomainPlan(root.appendingPathComponent("examples/\(name)")), keepingIndexIn: index, requiring: .restricted)
        let check = try await DomainCheck(domain)
        await domain.close()
        #expect(check.findings.filter { !$0.holds }.isEmpty)
        #expect(check.findings.count > 2)
    }

    @Test(
        "a new domain is ready to be run, with the student that was named",
        arguments: [
            ("hotel", .seedling(folder: "/models/seedlings/8m"), ["8m", "smollm2-135m"]),
            ("no", .pretrained(base: "Qwen/Qwen2.5-Coder-0.5B-Instruct@main"), ["qwen2.5-coder-0.5b-instruct"]),
            ("Anna's: #1", .pretrained(base: "/my models/{1}, it's/Small Model.GGUF"), ["smallmodel"]),
        ] as [(String, DomainTemplate.Student, [String])])
    func new(name: String, student: DomainTemplate.Student, students: [String]) async throws {
        let parent = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: parent) }
        let folder = parent.appendingPathComponent("new")
        try DomainTemplate(name: name, student: student).write(to: folder)
        let domain = try await FolderDomain(
            DomainPlan(folder), keepingIndexIn: parent.appendingPathComponent("index"), requiring: .restricted)
        let check = try await DomainCheck(domain)
        await domain.close()
        #expect(check.findings.filter { !$0.holds }.isEmpty)
        #expect(domain.plan.name == name)
        let files = ["recipe.yaml", "recipe-smollm2.yaml"].map(folder.appendingPathComponent)
        let recipes = try files.filter { FileManager.default.fileExists(atPath: $0.path) }.map {
            try Recipe(yaml: String(contentsOf: $0, encoding: .utf8), file: $0.path)
        }
        #expect(recipes.flatMap(\.students).map(\.name) == students)
        #expect(recipes[0].name == name)
        if case .pretrained(let base) = student { #expect(recipes[0].students[0].base == base) }
        #expect(throws: DomainError.self) { try DomainTemplate(name: name, student: student).write(to: folder) }
    }

    @Test("its recipe runs from the teacher's trajectories to the report", arguments: names)
    func run(name: String) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        // A copy whose teacher has worked on six tasks only, or on two of long dialogues.
        let count = name == "shop-support" ? 2 : 6
        let example = folder.appendingPathComponent("example")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try FileManager.default.copyItem(at: root.appendingPathComponent("examples/\(name)"), to: example)
        let trajectories = example.appendingPathComponent("trajectories.jsonl")
        let lines = try String(contentsOf: trajectories, encoding: .utf8).split(separator: "\n").prefix(count)
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: trajectories)
        let file = example.appendingPathComponent("recipe.yaml")
        var text = try String(contentsOf: file, encoding: .utf8)
        for (long, short) in [
            (/seedlings\/3m/, "\(root.path)/seedlings/1m"), (/epochs: [0-9]+/, "epochs: 1"),
            (/maxSteps: [0-9]+/, "maxSteps: 2"),
            (/\ \ tasks: [0-9]+/, "  tasks: 2"), (/maxTokens: 160/, "maxTokens: 48"),
        ] as [(Regex<Substring>, String)] {
            #expect(text.contains(long))
            text.replace(long, with: short)
        }
        // snippet: A run
        let recipe = try Recipe(yaml: text, file: file.path)
        let run = try await RecipeRun(recipe, folder: folder.appendingPathComponent("run"))
        let outcome = try #require(try await run.run(until: .evaluate))
        // end snippet
        #expect(outcome.table.contains(name == "shop-support" ? "tool-agent" : "agent"))
        let store = try TrajectoryStore(folder.appendingPathComponent("run/trajectories.sqlite"))
        let style = name == "shop-support" ? "tool-agent" : "agent"
        var taught = 0
        for try await entry in store.trajectories(in: "teach/\(style)") where entry.verdict?.isCorrect == true {
            taught += 1
        }
        #expect(taught == count)
        #expect(FileManager.default.fileExists(atPath: folder.appendingPathComponent("run/report.html").path))
    }
}
