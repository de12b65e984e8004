import RetortPython
import Testing

@Suite("An interpreter that agents share")
struct SharedInterpreterTests {
    @Test("all who ask at once wait for the same one")
    func once() async throws {
        let shared = SharedInterpreter(limits: PythonLimits(), requiring: .none)
        let found = try await withThrowingTaskGroup(of: ObjectIdentifier.self) { group in
            for _ in 0..<8 { group.addTask { ObjectIdentifier(try await shared.started()) } }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        let later = ObjectIdentifier(try await shared.started())
        await shared.close()
        #expect(found == [later])
    }
}
