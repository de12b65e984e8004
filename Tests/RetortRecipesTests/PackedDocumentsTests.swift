import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortPython
import RetortRetrieval
import Testing

@testable import RetortRecipes

@Suite("Documents that an agent takes along")
struct PackedDocumentsTests {
    @Test("an agent's folder searches by meaning with the vectors and the encoder in it, and with nothing else")
    func packed() async throws {
        let files = FileManager.default
        let root = files.temporaryDirectory.appendingPathComponent("retort-packed-\(UUID().uuidString)")
        defer { try? files.removeItem(at: root) }
        let (home, agent) = (root.appendingPathComponent("home"), root.appendingPathComponent("agent"))
        try files.createDirectory(at: home, withIntermediateDirectories: true)
        let encoder = try EncoderFolder(
            "bert",
            files: [
                "modules.json": EncoderFolder.modules("Transformer", "Pooling"),
                "1_Pooling/config.json": ["pooling_mode": "mean"],
            ])
        try files.moveItem(at: encoder.url, to: home.appendingPathComponent("encoder"))
        try Data("{\"id\": \"a\", \"contents\": \"five\\nsix\"}\n{\"id\": \"b\", \"contents\": \"nine\\nten\"}\n".utf8)
            .write(to: home.appendingPathComponent("notes.v1.jsonl"))
        try Data("documents: {path: notes.v1.jsonl, search: dense, encoder: encoder, results: 1}\n".utf8)
            .write(to: home.appendingPathComponent("domain.yaml"))
        let plan = try DomainPlan(home)
        let opened = try await DomainChoice.folder(plan).open(
            tests: 0, keepingIn: root.appendingPathComponent("index"), limits: PythonLimits(), requiring: .restricted)
        let folder = try #require(opened as? FolderDomain)
        let query: [String: JSONValue] = ["query": "nine ten"]
        let found = try await folder.retriever?.call(query)
        #expect(found == "[1] nine\nten")

        let index = try #require(folder.opened?.index)
        let (domain, packed) = try DomainChoice.folder(plan).packed(index: index, folder)
        #expect(
            domain.paths.allSatisfy { path in packed.contains { $0.path == path || $0.path.hasPrefix(path + "/") } })
        for file in packed {
            let target = agent.appendingPathComponent(file.path)
            try files.createDirectory(at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
            try files.copyItem(at: file.source, to: target)
        }
        try files.removeItem(at: home)
        try files.removeItem(at: root.appendingPathComponent("index"))
        let before = try files.subpathsOfDirectory(atPath: agent.path).sorted()
        let read = try JSONCoding.decoder.decode(AgentDomain.self, from: JSONCoding.encoder.encode(domain))
        let alone = try await read.open(in: agent, limits: PythonLimits(), requiring: .restricted)
        #expect(try await alone.retriever?.call(query) == found)
        #expect(try files.subpathsOfDirectory(atPath: agent.path).sorted() == before)
    }

    @Test("an agent whose documents a server searches takes its address along, and no index")
    func service() async throws {
        let files = FileManager.default
        let root = files.temporaryDirectory.appendingPathComponent("retort-packed-\(UUID().uuidString)")
        defer { try? files.removeItem(at: root) }
        try files.createDirectory(at: root, withIntermediateDirectories: true)
        try Data(
            "documents: {service: 'http://127.0.0.1:1', headers: {A: b}, seconds: 9, tool: look, results: 2}\n".utf8
        )
        .write(to: root.appendingPathComponent("domain.yaml"))
        let plan = try DomainPlan(root)
        let opened = try await DomainChoice.folder(plan).open(
            tests: 0, keepingIn: root.appendingPathComponent("index"), limits: PythonLimits(), requiring: .restricted)
        let folder = try #require(opened as? FolderDomain)
        let (domain, packed) = try DomainChoice.folder(plan).packed(
            index: root.appendingPathComponent("none.sqlite"), folder)
        #expect(packed.isEmpty && domain.paths.isEmpty)
        let read = try JSONCoding.decoder.decode(AgentDomain.self, from: JSONCoding.encoder.encode(domain))
        #expect(read.documents?.service == plan.documents?.service && read.documents?.index == nil)
        let alone = try await read.open(in: root, limits: PythonLimits(), requiring: .restricted)
        #expect(alone.retriever?.specification.name == "look" && alone.documents == nil)
        await #expect(throws: RetrievalError.self) { try await alone.retriever?.call(["query": "q"]) }
    }
}
