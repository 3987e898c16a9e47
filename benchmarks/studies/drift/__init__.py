"""How often is drift raised, and how soon?"""
