import Foundation
import Testing

@testable import RetortPython

@Suite("Control group")
struct ControlGroupTests {
    @Test("where none can be had, the reason is said and nothing is left behind")
    func unavailable() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        // A folder that is no control group: the kernel puts no files into what is made there.
        let error = #expect(throws: ControlGroup.Unavailable.self) {
            try ControlGroup(
                memoryBytes: 1 << 30, processes: 100, mounts: "cgroup2 \(folder.path) cgroup2 rw 0 0\n",
                membership: "0::/\n")
        }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains("no memory controller"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
        #expect(throws: ControlGroup.Unavailable.self) {
            try ControlGroup(memoryBytes: 1, processes: 1, mounts: "tmpfs /tmp tmpfs rw 0 0\n", membership: "")
        }
    }

    @Test("what killed processes left is removed, and nothing of those that live")
    func leftovers() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let gone = pid_t.max
        let names = [
            "retort-\(getpid())-A", "retort-\(gone)-B", "retort-\(gone)-full", "other-\(gone)-C", "retort-x-D",
        ]
        for name in names + ["retort-\(gone)-full/child"] {
            try FileManager.default.createDirectory(
                at: folder.appendingPathComponent(name), withIntermediateDirectories: true)
        }
        ControlGroup.removeLeftovers(in: folder)
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(Set(left) == Set(names).subtracting(["retort-\(gone)-B"]))
    }

    @Test("the report says whether there is one")
    func reported() async throws {
        let python = try await PythonInterpreter(readySessions: 0)
        let report = try await python.inspect()
        let line = try #require(report.layers.last)
        #expect(line.name == "control group")
        #expect(!line.detail.isEmpty)
        await python.close()
    }
}
