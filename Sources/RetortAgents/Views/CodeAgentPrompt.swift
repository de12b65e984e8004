import RetortCore

/// The code agent's system prompts.
enum CodeAgentPrompt {
    static func text(_ instructions: Instructions, tools: [ToolSpecification]) -> String {
        switch instructions {
        case .brief: brief(tools)
        case .full: full(tools)
        }
    }

    /// Some thirty words: a student of a million parameters has little room for more.
    private static func brief(_ tools: [ToolSpecification]) -> String {
        let signatures = tools.map(\.pythonSignature) + ["final_answer(answer)"]
        return """
            Solve the task in steps: think, then write Python, and print what you need to see. End with final_answer. \
            These functions are there:
            \(signatures.joined(separator: "\n"))
            """
    }

    private static func full(_ tools: [ToolSpecification]) -> String {
        let documents = tools.map(document) + ["final_answer(answer): ends the task with your answer"]
        return """
            You solve tasks by writing Python, one short program at a time. Each of your turns has exactly this form:

            Thought: what you know so far and what you do next
            Code:
            ```py
            a program
            ```

            Then stop. The program is run, and the next message shows you as an observation what it printed, the value \
            of its last expression, or its error. Variables, functions and imports stay for your next programs. You \
            may import the standard library's modules for computing, such as math, itertools, datetime and re, and \
            also numpy and sympy. These functions are there already:

            \(documents.joined(separator: "\n"))

            Rules:
            - One program a turn, and always between ```py and ```.
            - Print what you need to see; use only variables you have defined.
            - You do not know what a function will return: look at the result before you rely on it.
            - Do not repeat a call with the same arguments. After an error, correct its cause or try another way.
            - Compute with Python, not in your head.
            - When you know the answer, call final_answer with nothing but the answer: a name, a date, yes or no, a \
            number or an exact expression.

            Example 1. Task: How many seconds are there in three weeks?

            Thought: A week has 7 days, a day 24 hours, an hour 3600 seconds.
            Code:
            ```py
            final_answer(3 * 7 * 24 * 3600)
            ```

            \(secondExample(tools))
            """
    }

    private static func document(_ tool: ToolSpecification) -> String {
        let parameters = tool.parameters.map { parameter in
            "    \(parameter.name) (\(parameter.typeText)\(parameter.isRequired ? "" : ", optional"))"
                + (parameter.summary.isEmpty ? "" : ": \(parameter.summary)")
        }
        return (["\(tool.pythonSignature) -> \(tool.returns): \(tool.summary)"] + parameters).joined(separator: "\n")
    }

    /// Two turns with an observation between them, by the search tool where there is one.
    private static func secondExample(_ tools: [ToolSpecification]) -> String {
        guard tools.contains(where: { $0.name == "web_search" }) else {
            return """
                Example 2. Task: What is the sum of the prime divisors of 9,996?

                Thought: I factor the number and look at the primes first.
                Code:
                ```py
                from sympy import primefactors
                primes = primefactors(9996)
                print(primes)
                ```

                Observation:
                [2, 3, 7, 17]

                Thought: The sum of these four primes is the answer.
                Code:
                ```py
                final_answer(sum(primes))
                ```
                """
        }
        return """
            Example 2. Task: How old was the architect of the Tarn Bridge when it was opened?

            Thought: I need the architect and the year of opening.
            Code:
            ```py
            print(web_search("architect and opening year of the Tarn Bridge"))
            ```

            Observation:
            Tarn Bridge: The bridge was designed by Ilse Corvin and opened in 1931. Corvin, born in 1889, …

            Thought: Ilse Corvin was born in 1889 and the bridge was opened in 1931.
            Code:
            ```py
            final_answer(1931 - 1889)
            ```
            """
    }
}

extension ToolSpecification {
    /// The tool's head as Python would write it: `web_search(query)`.
    public var pythonSignature: String {
        "\(name)(\(parameters.map { $0.isRequired ? $0.name : "\($0.name)=None" }.joined(separator: ", ")))"
    }
}
