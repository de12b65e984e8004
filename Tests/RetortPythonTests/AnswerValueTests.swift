import Foundation
import RetortCore
import Testing

@testable import RetortPython

@Suite("Values that JSON has no form for", .timeLimit(.minutes(30)))
struct AnswerValueTests {
    private static let shared = Task { try await PythonInterpreter() }

    /// What a program comes to in a session of its own.
    private func seen(_ program: String) async throws -> Observation {
        let session = try await Self.shared.value.session(tools: [EchoTool()])
        let seen = try await session.perform(.code(program))
        await session.close()
        return seen
    }

    @Test(
        "what JSON could hold only in part is an error that says so, never a part",
        arguments: [
            ("{1: 2, '1': 3}", "keys is '1'"), ("[{'a': {None: 1, 'None': 2}}]", "keys is 'None'"),
            ("{(1, 2): 'a', '[1, 2]': 'b'}", "keys is '[1, 2]'"), ("{2.5: 1, '2.5': 2}", "keys is '2.5'"),
            ("{b'a': 1, \"b'a'\": 2}", "keys is 'b'a''"), ("{float('nan'): 1, 'nan': 2}", "keys is 'nan'"),
            ("(lambda a: a.append(a) or a)([])", "holds itself"),
            ("(lambda d: d.update(d=d) or d)({})", "holds itself"),
            ("__import__('functools').reduce(lambda inner, _: [inner], range(70), 1)", "more than 64 deep"),
        ])
    func losses(value: String, words: String) async throws {
        let answered = try await seen("final_answer(\(value))")
        #expect(answered.outcome.isFailure && answered.text.contains(words), "\(answered)")
        let called = try await seen("echo(\(value))")
        #expect(called.outcome.isFailure && called.text.contains(words) && called.toolCalls.isEmpty, "\(called)")
    }

    @Test(
        "what has a text, or values of Python's own, is that",
        arguments: [
            ("{1: 2, '2': 3, 2.5: 4, None: 5, (1, 'a'): 6}", ["1": 2, "2": 3, "2.5": 4, "None": 5, "[1, 'a']": 6]),
            ("b'a\\xff'", "b'a\\xff'"), ("memoryview(b'ab')", "b'ab'"), ("{3, 1, 2}", [1, 2, 3]),
            ("frozenset({'b', 'a'})", ["a", "b"]), ("{(2, 1), (1, 2)}", [[1, 2], [2, 1]]),
            ("__import__('datetime').date(2024, 2, 29)", "2024-02-29"),
            ("__import__('decimal').Decimal('1.10')", "1.10"), ("1 + 2j", "(1+2j)"), ("range(3)", "range(0, 3)"),
            ("[float('-inf')]", [.number(-.infinity)]),
            ("__import__('numpy').arange(4).reshape(2, 2)", [[0, 1], [2, 3]]),
            ("__import__('numpy').longdouble(1.5)", .number(1.5)),
            ("__import__('numpy').datetime64('2024-02-29T01:02:03.000000004')", "2024-02-29T01:02:03.000000004"),
            ("__import__('numpy').array(['2024-02-29'], dtype='datetime64[D]')", ["2024-02-29"]),
        ] as [(String, JSONValue)])
    func texts(value: String, answer: JSONValue) async throws {
        #expect(try await seen("final_answer(\(value))").outcome == .final(answer))
    }

    @Test(
        "what describes itself by an address or a place of this machine is told without",
        arguments: [
            ("__import__('math')", "<module 'math'>"), ("__import__('numpy')", "<module 'numpy'>"),
            ("__import__('json')", "<module 'json'>"), ("__import__('sys')", "<module 'sys'>"), ("f", "<function f>"),
            ("lambda: 1", "<function <lambda>>"), ("object()", "<object object>"), ("X()", "<__main__.X object>"),
            ("X", "<class '__main__.X'>"), ("X().m", "<bound method X.m of <__main__.X object>>"),
            ("(n for n in [1])", "<generator object <genexpr>>"), ("iter([])", "<list_iterator object>"),
            ("map(f, [])", "<map object>"), ("[].append", "<built-in method append of list object>"),
            ("f.__code__", "<code object f, file \"<program>\", line 1>"),
            ("__import__('functools').partial(f, 1)", "functools.partial(<function f>, 1)"),
            ("__import__('numpy').random.default_rng()", "Generator(PCG64)"),
        ])
    func steady(value: String, text: String) async throws {
        let head = "def f(*_): pass\nclass X:\n    def m(self): pass\nx = \(value)\n"
        #expect(try await seen(head + "final_answer(x)").outcome == .final(.string(text)))
        #expect(
            try await seen(head + "final_answer({'a': [x, f'{x}']})").outcome
                == .final(["a": [.string(text), .string(text)]]))
        #expect(try await seen(head + "x").text == "Out: \(text)")
        #expect(try await seen(head + "print(x, [x])").text == "\(text) [\(text)]")
        #expect(try await seen(head + "raise ValueError(x)").text.hasPrefix("ValueError: \(text) (line"))
        #expect(try await seen(head + "print(echo(x))").toolCalls.first?.arguments["value"] == .string(text))
    }

    @Test("an import that fails does not tell where modules lie", arguments: ["math", "json", "numpy"])
    func imports(name: String) async throws {
        let told = try await seen("from \(name) import nothing_of_the_kind").text
        #expect(told == "ImportError: cannot import name 'nothing_of_the_kind' from '\(name)' (line 1)", "\(told)")
    }

    @Test(
        "texts that only look like it stay as they are",
        arguments: ["it crashed at 0x7ffe12345678, and again", "a module 'x' from '/tmp/x'", "mov at 0x12>"])
    func others(text: String) async throws {
        #expect(try await seen("print(\"\(text)\")").text == text)
        #expect(try await seen("final_answer(\"\(text)\")").outcome == .final(.string(text)))
    }
}

/// Gives back what it is given.
private struct EchoTool: Tool {
    let specification = ToolSpecification(
        name: "echo", summary: "Gives back.",
        parameters: [.init("value", type: "any", summary: "")], returns: "any")

    func call(_ arguments: [String: JSONValue]) async throws -> JSONValue { arguments["value"] ?? .null }
}
