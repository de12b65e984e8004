import RetortCore

extension ActionParser {
    /// What a program's last `final_answer(…)` gives, where that is a literal; nil for an expression, whose value only the run
    /// knows, and for a program without such a call.
    public static func literalAnswer(of program: String) -> JSONValue? {
        FinalAnswerCall.argument(in: program).flatMap(PythonLiteral.value)
    }
}
